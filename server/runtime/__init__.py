"""The server's edge: sockets, files, processes and trio tasks around the pure engine."""
