package hosttest

import (
	"testing"

	"zcp2kopano/runtime/host"
)

func TestSimulatedDatabase(t *testing.T) {
	h := hostOf(t, "-- host --\nhostname: mail\n"+DatabaseFixture("site", "s3cr3t"))
	Database(t, h, host.DatabaseConn{User: "site", Password: host.NewSecret("s3cr3t"), Database: "site"})
}

func TestSimulatedDatabaseObjects(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		fixture := DatabaseFixture("site", "s3cr3t") + ObjectsFixture("site@localhost", damaged)
		h, conn := hostOf(t, "-- host --\nhostname: mail\n"+fixture), host.DatabaseConn{User: "site", Password: host.NewSecret("s3cr3t"), Database: "site"}
		if damaged {
			DamagedDatabase(t, h, conn)
		} else {
			DatabaseObjects(t, h, conn)
		}
	}
}
