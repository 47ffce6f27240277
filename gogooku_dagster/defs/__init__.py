"""Autoloaded definitions: one module an asset, named like it, and the automation around them."""
