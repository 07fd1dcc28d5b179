package rpm

// DatabaseDirs are where rpm keeps its database, the newer place first.
var DatabaseDirs = []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"}

// DatabaseFiles are the names of the main table in Berkeley DB, ndb and SQLite.
var DatabaseFiles = []string{"Packages", "Packages.db", "rpmdb.sqlite"}

// Where the fronts have the configuration of repositories.
var (
	YumRepoDirs    = []string{"/etc/yum.repos.d", "/etc/yum/repos.d"}
	ZypperRepoDirs = []string{"/etc/zypp/repos.d"}
)
