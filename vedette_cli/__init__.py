"""The one program `vedette`: a group of subcommands, each loaded only when it is called."""
