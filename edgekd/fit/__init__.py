"""Which student fits a device, before any training: candidates built untrained, exported, measured and ranked."""
