package action

// ordered makes things one after the other, up to so many ahead of the one that is asked for. With one at a time,
// each is made when it is asked for.
type ordered[T any] struct {
	count, begun, given int
	makes               func(i int) T
	ahead               []chan T // a ring; nil for one at a time
}

func inOrder[T any](ahead, count int, makes func(i int) T) *ordered[T] {
	o := &ordered[T]{count: count, makes: makes}
	if ahead = min(ahead, count); ahead > 1 {
		o.ahead = make([]chan T, ahead)
	}
	return o
}

func (o *ordered[T]) more() bool { return o.given < o.count }

func (o *ordered[T]) next() T {
	i := o.given
	o.given++
	if o.ahead == nil {
		return o.makes(i)
	}
	for ; o.begun < min(o.count, i+len(o.ahead)); o.begun++ {
		made := make(chan T, 1)
		o.ahead[o.begun%len(o.ahead)] = made
		go func(n int) { made <- o.makes(n) }(o.begun)
	}
	return <-o.ahead[i%len(o.ahead)]
}

// drain waits for what is being made, and hands over what nobody asked for.
func (o *ordered[T]) drain(unasked func(T)) {
	for ; o.ahead != nil && o.given < o.begun; o.given++ {
		unasked(<-o.ahead[o.given%len(o.ahead)])
	}
}
