from realtts.cli.parsing import add_command
def add_parser(c): add_command(c,"new-plugin",None,"Doc")
