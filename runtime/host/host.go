// Package host says what a machine is to the program: its interfaces and value types, and no behaviour.
//
// Two packages implement it: live (this machine) and sim (a simulated one). Everything above
// (runtime, builtins, runbooks) sees only these interfaces, so that one executor serves both.
//
// A View reads. A Host is a View that can also be changed. Builtins are handed a View, and only
// actions are handed a Host: what cannot be journaled cannot be changed.
package host

import (
	"context"
	"time"
)

// View is the reading half of a host. None of its methods changes anything that an admin would see;
// commands that a live host runs to answer are read-only ones.
type View interface {
	FileReader
	PackageReader
	ServiceReader
	DatabaseReader
	DirectoryReader
	PortReader
	SystemReader
	AccountReader
	Downloader
	Clock
}

// SystemReader describes the system itself.
type SystemReader interface {
	Facts() (Facts, error)
	// Mounts lists the mount table, in the order of the kernel's.
	Mounts() ([]Mount, error)
}

// MountWriter changes what is mounted where.
type MountWriter interface {
	// Mount mounts what /etc/fstab lists for a point, and sees that something is mounted there.
	Mount(ctx context.Context, point string) error
	// Unmount takes away what is mounted at a point, and sees that it is gone. While it is in use that is an error,
	// which names the processes.
	Unmount(ctx context.Context, point string) error
}

// AccountReader looks accounts up. An unknown one is ErrNoAccount.
type AccountReader interface {
	User(name string) (User, error)
	Group(name string) (Group, error)
	UserID(uid uint32) (User, error)
	GroupID(gid uint32) (Group, error)
}

// AccountWriter changes who belongs to which group.
type AccountWriter interface {
	JoinGroup(ctx context.Context, user, group string) error
	LeaveGroup(ctx context.Context, user, group string) error
}

// Downloader fetches a small file (at most 1 MiB: a repository key) by http, https or file URL.
type Downloader interface {
	Download(ctx context.Context, url, user string, password Secret) ([]byte, error)
}

// Clock is the host's clock; Sleep waits on it (a simulated clock jumps).
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Host is a machine that can be changed.
type Host interface {
	View
	FileWriter
	PackageWriter
	ServiceWriter
	DatabaseWriter
	DirectoryWriter
	MountWriter
	AccountWriter
	ProgramRunner

	// Unpredicted lists, in order of occurrence, what this host did not carry out or could not know.
	// A live host returns none.
	Unpredicted() []Unpredicted
	// Close gives back what the host holds: sessions, descriptors.
	Close() error
}

// Unpredicted is one thing that a simulated host cannot know: it goes on the report's
// "not simulated" list.
type Unpredicted struct {
	What   string `json:"what"`             // the thing: "content of /etc/kopano/server.cfg", "maintainer script of kopano-server"
	Why    string `json:"why"`              // the reason it cannot be known
	Check  string `json:"check,omitempty"`  // the later step or command that covers it
	Path   string `json:"path,omitempty"`   // the path or glob whose final state it leaves open, if it is about files
	Aspect string `json:"aspect,omitempty"` // what of Path stays open: "content", "mode", "owner", "existence"; empty for all
}

// Facts describes a system. Strings are empty where the host does not tell.
type Facts struct {
	Hostname  string            `json:"hostname"`
	MachineID string            `json:"machine_id"`
	OSRelease map[string]string `json:"os_release"` // fields of /etc/os-release: ID, VERSION_ID, ...
	Arch      string            `json:"arch"`       // as the package manager spells it: amd64, x86_64
	Kernel    string            `json:"kernel"`     // release: 3.16.0-4-amd64
	Init      string            `json:"init"`       // "systemd" or "sysv"
	Security  string            `json:"security"`   // active module: "apparmor", "selinux", or ""
	UID       uint32            `json:"uid"`        // effective user of the program
}

// Mount is a line of the mount table.
type Mount struct {
	Point    string `json:"point"`
	Source   string `json:"source"`
	Type     string `json:"type"` // ext4, nfs4, ...
	Device   uint64 `json:"device"`
	ReadOnly bool   `json:"read_only"`
}

// User is an account of passwd(5), with the names of the groups it belongs to left out.
type User struct {
	Name  string `json:"name"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Home  string `json:"home"`
	Shell string `json:"shell"`
}

// Group is an account of group(5).
type Group struct {
	Name    string   `json:"name"`
	GID     uint32   `json:"gid"`
	Members []string `json:"members,omitempty"`
}
