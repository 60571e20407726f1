"""The built-in kinds, one file each: plugins like any other, found through entry points."""
