"""What awaits in the sentinel: the machine's driver, its links, state file, scripts and port."""
