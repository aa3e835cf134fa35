package text

import (
	"regexp"
	"slices"
	"testing"
)

// Both languages take the same arguments.
func TestTraceWords(t *testing.T) {
	verb := regexp.MustCompile(`%(\[\d\])?[+.\d]*[sdf]`)
	for key, w := range traceWords {
		en, ja := verb.FindAllString(w[En], -1), verb.FindAllString(w[Ja], -1)
		if w[En] == "" || w[Ja] == "" || len(en) != len(ja) {
			t.Errorf("%s: %q, %q", key, w[En], w[Ja])
		}
		slices.Sort(en)
		slices.Sort(ja)
		if !slices.Equal(en, ja) {
			t.Errorf("%s: %v and %v", key, en, ja)
		}
	}
	if TraceState(Ja, "delivered") != "配送済み" || TraceState(En, "other") != "other" {
		t.Error("states")
	}
}
