package host

// Same is nil if two looks at an entry saw the same one, with as many names, and else ErrExchanged.
func Same(before, now Stat) error {
	if before.Dev != now.Dev || before.Ino != now.Ino || before.Mode.Type() != now.Mode.Type() || !now.IsDir() && before.Nlink != now.Nlink {
		return ErrExchanged
	}
	return nil
}
