package journal

// Piece is a whole journal, read line by line: what is read behind a line depends on that line's end
// and number only, so a test can damage every bit of a long journal and read from the damage on.
type Piece struct {
	lines []content // what was read when line N had been, the header being line 0
}

// ReadPieces reads a journal that is not damaged.
func ReadPieces(data []byte) (*Piece, error) {
	c, err := parse(data)
	if err != nil {
		return nil, err
	}
	if c.damage != nil {
		return nil, c.damage
	}
	p := &Piece{}
	end := int64(0)
	for i := range len(c.records) + 1 {
		_, size, _, err := decode(data[end:])
		if err != nil {
			return nil, err
		}
		end += int64(size)
		p.lines = append(p.lines, content{header: c.header, records: c.records[:i:i], end: end})
	}
	return p, nil
}

// Lines is how many lines there are.
func (p *Piece) Lines() int { return len(p.lines) }

// Bounds are where a line begins and where it ends.
func (p *Piece) Bounds(line int) (from, to int) {
	if line > 0 {
		from = int(p.lines[line-1].end)
	}
	return from, int(p.lines[line].end)
}

// From reads what data has from a line on, as a reader of the whole does that has come there. It
// returns how many records it read before the damage.
func (p *Piece) From(line int, data []byte) (records int, damage *Damage, err error) {
	if line == 0 {
		c, err := parse(data)
		return len(c.records), c.damage, err
	}
	c := p.lines[line-1]
	before := len(c.records)
	c.scan(data)
	return len(c.records) - before, c.damage, nil
}

// Relies reports whether a line was begun when an earlier line was known to be durable.
func (p *Piece) Relies(data []byte, line, earlier int) bool {
	from, _ := p.Bounds(line)
	e, _, _, err := decode(data[from:])
	return err == nil && e.start() > uint64(earlier)
}
