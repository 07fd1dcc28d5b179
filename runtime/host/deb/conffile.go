package deb

import (
	"strings"

	"zcp2kopano/runtime/host"
)

// Unpacked is the ending of a configuration file that dpkg has unpacked. Beside a symlink it stays, and no
// purge takes it.
const Unpacked = ".dpkg-new"

// Dist is the ending of the new version of a configuration file that stays as it was.
const Dist = ".dpkg-dist"

// Leftovers are the endings that dpkg gives to the other version of a configuration file.
var Leftovers = []string{Dist, Unpacked, ".dpkg-old", ".dpkg-tmp"}

// IsLeftover tells by its name whether a file is one of those, or another version that ucf left.
func IsLeftover(name string) bool {
	return strings.Contains(name, ".dpkg-") || strings.HasSuffix(name, ".ucf-dist")
}

// PurgedWith are the endings of what a purge deletes beside a configuration file (dpkg,
// deferred_configure_conffile and removal_bulk_remove_configfiles).
var PurgedWith = append([]string{"~", ".bak", "%"}, Leftovers...)

// ParseConffiles reads what dpkg's database has of configuration files: lines of path, digest, and flags. A
// path may hold blanks.
func ParseConffiles(text string) []host.Conffile {
	var files []host.Conffile
	for line := range strings.Lines(text) {
		var c host.Conffile
		line = strings.TrimSpace(line)
		for {
			cut := strings.LastIndexByte(line, ' ')
			if cut < 0 {
				break
			}
			word := line[cut+1:]
			line = strings.TrimSpace(line[:cut])
			if word != "obsolete" && word != "remove-on-upgrade" {
				c.Path, c.MD5 = line, word
				break
			}
			c.Obsolete = c.Obsolete || word == "obsolete"
		}
		if c.Path != "" {
			files = append(files, c)
		}
	}
	return files
}
