package host

// LogMark is a place in what a service has logged: its end when somebody looked. The zero mark is the begin of the file,
// and no mark in the journal.
type LogMark struct {
	Inode  uint64 `json:"inode,omitempty"`  // of the log file
	Size   int64  `json:"size,omitempty"`   // of which so much was there
	Cursor string `json:"cursor,omitempty"` // in the journal of systemd; empty if that could not be read
}

// LogPart is what a service has logged behind a mark.
type LogPart struct {
	Lines []string // whole ones only
	Seen  bool     // there was a log to read
	End   LogMark
}
