package action

// BrokenOff says what it means for the host that an action was broken off in the middle.
func BrokenOff(a Action) string {
	switch a := a.(type) {
	case *Commit, *Repair, *Refresh:
		return "packages may be half installed, and the package manager refuses other work until that is mended; a resume and a rollback begin with it, and by hand `dpkg --configure -a` and `apt-get -f install` do it"
	case *Dump:
		return "the unfinished dump is removed, and a resume makes it anew"
	case *Restore:
		return "the database may be half loaded, and no server can work with it before `rollback --restore-database` has loaded it whole"
	case *Service:
		return "what was asked of the service goes on by itself; a resume looks how it came out"
	case *Program:
		if a.NoUndo != "" && !a.Repeatable {
			return "nobody knows how far the program came; see what it did"
		}
	}
	return "a part of it is done; a resume brings it to its end, and a rollback takes it back"
}
