"""The commands of hfrun, one module each; each adds its parser and imports heavy modules late."""
