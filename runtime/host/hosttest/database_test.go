package hosttest

import (
	"testing"

	"zcp2kopano/runtime/host"
)

func TestSimulatedDatabase(t *testing.T) {
	h := hostOf(t, "-- host --\nhostname: mail\n"+DatabaseFixture("site", "s3cr3t"))
	Database(t, h, host.DatabaseConn{User: "site", Password: host.NewSecret("s3cr3t"), Database: "site"})
}
