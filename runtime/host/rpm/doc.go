// Package rpm is what is true of packages of rpm on any host: the order of versions, names, what rpm says of
// its database, the .repo files and lists of packages of yum, dnf and zypper, and the names of what is left
// beside a configuration file.
package rpm
