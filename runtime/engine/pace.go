package engine

import (
	"time"

	"zcp2kopano/runtime/action"
)

// pace is how fast something advances. It looks back over the last while only: so a fast begin is forgotten, and
// what has come to a stop shows.
type pace struct {
	what string
	seen []seen // the oldest first
}

type seen struct {
	at          time.Time
	done, bytes int64
}

const (
	paceOver  = 30 * time.Second
	paceFrom  = 3 * time.Second // a shorter while tells nothing
	paceEvery = time.Second
)

// tell works out rate and time left.
func (m *pace) tell(now time.Time, p *action.Progress) {
	p.Rate, p.BytesRate, p.Left = 0, 0, 0
	if p.Unit != "files" && p.Unit != "bytes" && p.Unit != "entries" {
		return
	}
	m.note(now, p)
	first := m.seen[0]
	took := now.Sub(first.at).Seconds()
	if took < paceFrom.Seconds() {
		return
	}
	rate, bytesRate := float64(p.Done-first.done)/took, float64(p.Bytes-first.bytes)/took
	p.Rate, p.BytesRate = int64(rate+0.5), int64(bytesRate+0.5)
	p.Left = max(timeLeft(p.Total-p.Done, rate), timeLeft(p.TotalBytes-p.Bytes, bytesRate))
}

func (m *pace) note(now time.Time, p *action.Progress) {
	if last := len(m.seen) - 1; last < 0 || p.What != m.what || p.Done < m.seen[last].done || p.Bytes < m.seen[last].bytes {
		m.what, m.seen = p.What, []seen{{now, p.Done, p.Bytes}}
		return
	} else if now.Sub(m.seen[last].at) >= paceEvery {
		m.seen = append(m.seen, seen{now, p.Done, p.Bytes})
	}
	for len(m.seen) > 1 && now.Sub(m.seen[1].at) >= paceOver {
		m.seen = m.seen[1:]
	}
}

// timeLeft is not known, and 0, of what has come to a stop.
func timeLeft(left int64, rate float64) time.Duration {
	if left <= 0 || rate <= 0 {
		return 0
	}
	return time.Duration(min(float64(left)/rate, forEver.Seconds()) * float64(time.Second))
}

// forEver is longer than anybody waits: what comes to more says no more than that.
const forEver = 1000 * time.Hour
