package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/story"
)

func simulated(c *engine.Config) { c.Mode = "simulate" }

// A simulation says how long each step takes, and how long services are down: from the first that is
// stopped to the last that is started, with what the runbook expects in between.
func TestTimes(t *testing.T) {
	s, h := newDatabaseScene(t)
	v := s.run(databaseScript, func(c *engine.Config) { on(h)(c); simulated(c) })
	short := v.Times
	if v.Code != 0 || short == nil || short.Down.Most <= 0 || short.Down.Most > short.Whole.Most {
		t.Fatalf("%+v, times %+v", v, short)
	}
	s, h = newDatabaseScene(t)
	script := strings.Replace(databaseScript, `t.service("new"`, `expect("an upgrade", 60, 3600)
    t.service("new"`, 1)
	v = s.run(script, func(c *engine.Config) { on(h)(c); simulated(c) })
	if v.Code != 0 || v.Times.Down.Least != short.Down.Least+time.Minute || v.Times.Down.Most != short.Down.Most+time.Hour || len(v.Times.Why) != 1 {
		t.Errorf("%+v, times %+v, without what is expected %+v", v, v.Times, short)
	}
	var sum action.Span
	for _, step := range v.Times.Steps {
		sum = sum.Plus(step.Span)
	}
	if sum != v.Times.Whole {
		t.Errorf("the steps take %+v, the whole %+v", sum, v.Times.Whole)
	}
	if text := v.Times.String(); !strings.HasPrefix(text, "a guess: ") || !strings.Contains(text, "services are down for ") {
		t.Errorf("told: %s", text)
	}
}

// A real run tells after each step how long the rest takes, nearer than the forecast: by its own pace.
func TestTimesAreRefined(t *testing.T) {
	for took, want := range map[time.Duration]string{
		10 * time.Second: "the rest takes about 60 seconds to 26 minutes, by the pace so far",
		90 * time.Second: "the rest takes about 74 to 98 minutes, by the pace so far",
	} {
		s := newScene(t)
		s.mkdir("/srv/a")
		clock := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
		v := s.run(fmt.Sprintf(threeSteps, ""), func(c *engine.Config) {
			emit := c.Emit
			c.Now = func() time.Time { return clock }
			c.Forecast = &story.Times{Whole: action.Span{Least: 70 * time.Second, Most: 99*time.Minute + 30*time.Second}, Steps: []story.StepTime{
				{Name: "one", Span: action.Span{Least: 10 * time.Second, Most: 90 * time.Second}},
				{Name: "two", Span: action.Span{Least: time.Minute, Most: 98 * time.Minute}},
			}}
			c.Emit = func(e story.Event) {
				emit(e)
				if e.Kind == story.ChangeEnd && e.Step == "one" {
					clock = clock.Add(took)
				}
			}
		})
		if forecast := "the time that it takes, a guess: 70 seconds to 100 minutes (two 60 seconds to 98 minutes, one 10 seconds to 2 minutes)"; !s.said(forecast) {
			t.Errorf("%q is not said: %+v", forecast, s.events)
		}
		if v.Code != 0 || !s.said(want) {
			t.Errorf("a step of %v: %+v, said %+v", took, v, s.events)
		}
	}
}
