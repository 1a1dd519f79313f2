"""What the deployment asks of `_storage`."""
