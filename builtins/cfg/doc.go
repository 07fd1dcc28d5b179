// Package cfg reads, edits and takes over the configuration files of Zarafa (ZCP) and Kopano.
//
// A file is kept byte for byte (file.go); a change touches its own line only. What is known of the
// directives of every release is a table (facts.tsv, facts.go), made by gen.go from the sources of
// ZCP and Kopano Core. The conversion of one daemon's directives is in convert.go and paths.go, that
// of a whole directory in takeover.go; cfg.go declares the builtins.
package cfg
