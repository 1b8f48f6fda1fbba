"""What tools/patchset/host/run is made of."""
