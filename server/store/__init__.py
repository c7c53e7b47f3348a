"""The dataset: databases of keys, values and expiry times. Pure; knows no commands, no clients."""
