// Package deb is what is true of Debian's packages on any host: the order of versions, names, control
// fields, package files, what dpkg says of its database, where dpkg and apt keep what is theirs, and the
// names of what they leave beside a configuration file.
package deb
