package live

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// PackageLock looks at rpm's lock, which is one of fcntl(2), and at the front's, which is the number of a
// process in a file.
func (v rpms) PackageLock() (*host.LockHolder, error) {
	holder, err := v.m.files.lockHolder(v.rpmDir() + "/.rpm.lock")
	if err != nil || holder != nil {
		return holder, err
	}
	front, err := v.front()
	if err != nil {
		return nil, err
	}
	for _, path := range front.pidFiles() {
		holder, err := v.m.files.pidHolder(path)
		if err != nil || holder != nil {
			return holder, err
		}
	}
	return nil, nil
}

// pidHolder reads a file with the number of a process. The file of one that is gone is no lock: the
// fronts themselves take it over.
func (s *space) pidHolder(path string) (*host.LockHolder, error) {
	data, err := s.readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimRight(string(data), "\x00")))
	if err != nil || pid <= 0 || !processLives(pid) {
		return nil, nil
	}
	return &host.LockHolder{PID: pid, Command: commandLine(pid), Path: path}, nil
}
