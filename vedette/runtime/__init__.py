"""The kernel's awaiting half: trio shells around its pure parts."""
