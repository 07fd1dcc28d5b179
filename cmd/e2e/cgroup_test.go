package e2e

import "testing"

func TestCgroupDir(t *testing.T) {
	const hybrid = "30 25 0:26 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n" +
		"31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
	cases := []struct{ mounts, groups, want string }{
		{hybrid, "1:name=systemd:/x\n0::/\n", "/sys/fs/cgroup/unified"},
		{hybrid, "0::/user.slice/session-2.scope\n", "/sys/fs/cgroup/unified/user.slice/session-2.scope"},
		{"31 25 0:27 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/docker/1/x\n", "/sys/fs/cgroup/x"},
		{"31 25 0:27 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/other\n", ""},
		{"31 25 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n", "0::/\n", ""},
		{hybrid, "1:name=systemd:/x\n", ""},
	}
	for _, c := range cases {
		got, err := cgroupDir(c.mounts, c.groups)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q in %q: %q, %v; want %q", c.groups, c.mounts, got, err, c.want)
		}
	}
}
