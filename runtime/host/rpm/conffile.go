package rpm

// Leftovers are the endings that rpm gives to the other version of a configuration file.
var Leftovers = []string{".rpmnew", ".rpmorig", ".rpmsave"}
