"""`paypoll demo`: a small shop and the real run on it."""
