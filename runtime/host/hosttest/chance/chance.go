// Package chance is what tests leave to chance: which of many trials they make. What was picked can be
// picked again.
package chance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Nothing reports whether nothing is left to chance and all is tried: make crash.
func Nothing() bool { return os.Getenv("ZCP2KOPANO_CRASH") == "all" }

// usual is the seed where none is given: what a change breaks shows with the change, not in some later run.
const usual = 1

// seed is one for all tests of a process; "time" makes it another one each time.
var seed = sync.OnceValues(func() (uint64, error) {
	switch s := os.Getenv("ZCP2KOPANO_SEED"); s {
	case "":
		return usual, nil
	case "time":
		return uint64(time.Now().UnixNano()), nil
	default:
		return strconv.ParseUint(s, 10, 64)
	}
})

// Rand is a source of chance whose seed is printed; ZCP2KOPANO_SEED gives that one again, or another.
func Rand(t testing.TB, stream uint64) *rand.Rand {
	t.Helper()
	n, err := seed()
	if err != nil {
		t.Fatalf("ZCP2KOPANO_SEED: %v", err)
	}
	t.Logf("ZCP2KOPANO_SEED=%d repeats this", n)
	return rand.New(rand.NewPCG(n, stream))
}

// Figures tells how much a test has tried, and in the end how long that took. make crash prints it: ZCP2KOPANO_FIGURES
// names the file that it is added to.
func Figures(t testing.TB, begun time.Time, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	name := os.Getenv("ZCP2KOPANO_FIGURES")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s: %s; %.0f seconds\n", t.Name(), line, time.Since(begun).Seconds()); err != nil {
		t.Fatal(err)
	}
}

// Pick picks n of a list, in its order: of every kind at least one, even where there are more kinds than
// n. Nothing is left out where nothing is left to chance; with -short it picks a sixth.
func Pick[T any, K comparable](t testing.TB, list []T, n int, kind func(T) K) []T {
	t.Helper()
	if testing.Short() {
		n /= 6
	}
	if Nothing() || n >= len(list) {
		t.Logf("all %d are tried", len(list))
		return list
	}
	seen := map[K]bool{}
	var first, others []int
	for _, i := range Rand(t, 0).Perm(len(list)) {
		if k := kind(list[i]); !seen[k] {
			seen[k] = true
			first = append(first, i)
			continue
		}
		others = append(others, i)
	}
	picked := append(first, others[:max(0, n-len(first))]...)
	slices.Sort(picked)
	t.Logf("%d of %d are tried, of %d kinds; make crash tries all", len(picked), len(list), len(seen))
	var of []T
	for _, i := range picked {
		of = append(of, list[i])
	}
	return of
}
