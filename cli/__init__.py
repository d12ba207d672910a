"""The command line of depth3d; installed as `depth3d_cli`."""
