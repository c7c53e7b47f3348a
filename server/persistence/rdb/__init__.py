"""The RDB codec: plain records to bytes and back.

`records` names what a file holds, `encode` writes it, `decode` reads it and `payload` does one
value for DUMP and RESTORE. Nothing here imports the store, opens a file or reads a clock.
"""
