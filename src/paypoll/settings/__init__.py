"""The settings: read by `load`, typed in `model`, shown by `show`. `config.example.toml` explains every key."""
