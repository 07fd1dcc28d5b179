package engine

import (
	"testing"
	"time"

	"zcp2kopano/runtime/action"
)

func TestPace(t *testing.T) {
	const second = time.Second
	type at struct {
		at                      time.Duration
		done, bytes             int64
		rate, bytesRate, leftIn int64 // in seconds
	}
	for name, c := range map[string]struct {
		p    action.Progress
		told []at
	}{
		"bytes": {action.Progress{Unit: "bytes", Total: 1000}, []at{
			{at: 0, done: 0},
			{at: 2 * second, done: 200}, // too early to tell
			{at: 4 * second, done: 400, rate: 100, leftIn: 6},
			{at: 8 * second, done: 800, rate: 100, leftIn: 2},
		}},
		"a fast begin is forgotten": {action.Progress{Unit: "files", Total: 2000}, []at{
			{at: 0},
			{at: 10 * second, done: 1000, rate: 100, leftIn: 10},
			{at: 20 * second, done: 1010, rate: 51, leftIn: 19},
			{at: 40 * second, done: 1030, rate: 1, leftIn: 970},
			{at: 50 * second, done: 1040, rate: 1, leftIn: 960},
		}},
		"a stop shows": {action.Progress{Unit: "bytes", Total: 1000}, []at{
			{at: 0},
			{at: 10 * second, done: 500, rate: 50, leftIn: 10},
			{at: 20 * second, done: 500, rate: 25, leftIn: 20},
			{at: 41 * second, done: 500},
		}},
		"what takes longer counts": {action.Progress{Unit: "files", Total: 100, TotalBytes: 1 << 20}, []at{
			{at: 0},
			{at: 4 * second, done: 50, bytes: 1 << 18, rate: 13, bytesRate: 1 << 16, leftIn: 12},
			{at: 8 * second, done: 50, bytes: 1 << 19, rate: 6, bytesRate: 1 << 16, leftIn: 8},
		}},
		"no file is done yet": {action.Progress{Unit: "files", Total: 1, TotalBytes: 1 << 20}, []at{
			{at: 0},
			{at: 4 * second, bytes: 1 << 18, bytesRate: 1 << 16, leftIn: 12},
		}},
		"begun anew": {action.Progress{Unit: "bytes", Total: 1000}, []at{
			{at: 0},
			{at: 10 * second, done: 900, rate: 90, leftIn: 1},
			{at: 11 * second, done: 0},
			{at: 21 * second, done: 100, rate: 10, leftIn: 90},
		}},
		"seconds have no pace": {action.Progress{Unit: "s", Total: 600}, []at{
			{at: 0}, {at: 10 * second, done: 10},
		}},
		"nothing is known of its end": {action.Progress{Unit: "files"}, []at{
			{at: 0}, {at: 10 * second, done: 100, rate: 10},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var m pace
			begun := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
			for _, want := range c.told {
				p := c.p
				p.Done, p.Bytes = want.done, want.bytes
				m.tell(begun.Add(want.at), &p)
				if p.Rate != want.rate || p.BytesRate != want.bytesRate || int64(p.Left/second) != want.leftIn {
					t.Errorf("at %v: %d/s, %d bytes/s, %v left; want %d, %d, %d s", want.at, p.Rate, p.BytesRate, p.Left, want.rate, want.bytesRate, want.leftIn)
				}
			}
		})
	}
}
