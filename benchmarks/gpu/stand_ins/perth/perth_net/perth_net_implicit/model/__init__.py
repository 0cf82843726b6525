"""The network that chatterbox-tts imports."""
