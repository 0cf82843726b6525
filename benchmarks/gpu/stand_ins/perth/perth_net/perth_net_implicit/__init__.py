"""The parts that chatterbox-tts imports."""
