package chance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"zcp2kopano/runtime/host/hosttest/chance"
)

func TestPick(t *testing.T) {
	t.Setenv("ZCP2KOPANO_CRASH", "")
	var list []int
	for i := range 1000 {
		list = append(list, i)
	}
	hundreds := func(i int) int { return i / 100 }
	few := chance.Pick(t, list, 3, hundreds)
	kinds := map[int]int{}
	for _, i := range few {
		kinds[hundreds(i)]++
	}
	if len(few) != 10 || len(kinds) != 10 {
		t.Errorf("%v: want one of each hundred", few)
	}
	if again := chance.Pick(t, list, 3, hundreds); !slices.Equal(again, few) {
		t.Errorf("the same seed picks %v, then %v", few, again)
	}
	if many := chance.Pick(t, list, 600, hundreds); !testing.Short() && len(many) != 600 || !slices.IsSorted(many) {
		t.Errorf("%d are picked, want 600, in order", len(many))
	}
	t.Setenv("ZCP2KOPANO_CRASH", "all")
	if all := chance.Pick(t, list, 3, hundreds); len(all) != len(list) {
		t.Errorf("%d of all %d", len(all), len(list))
	}
}

func TestFigures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures")
	t.Setenv("ZCP2KOPANO_FIGURES", file)
	begun := time.Now().Add(-time.Minute)
	chance.Figures(t, begun, "%d trials", 3)
	chance.Figures(t, begun, "%d trials", 4)
	got, err := os.ReadFile(file)
	if !regexp.MustCompile(`\ATestFigures: 3 trials; \d+ seconds\nTestFigures: 4 trials; \d+ seconds\n\z`).Match(got) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
