"""Hand the derotated movie over to other programs: Suite2p, any reader of TIFF, NWB."""
