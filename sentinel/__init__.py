"""The sentinel: watches masters, agrees with its fellows and fails over."""
