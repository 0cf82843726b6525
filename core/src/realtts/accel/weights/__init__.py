"""Reading checkpoint files tensor by tensor."""
