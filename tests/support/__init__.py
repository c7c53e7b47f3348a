"""What tests of every package share: real processes, waiting for conditions, a blocking client.

Import it absolutely, `from tests.support.redis import RedisServer`; nothing here is a test.
"""
