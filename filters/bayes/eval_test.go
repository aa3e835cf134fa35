package bayes_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/filters/bayes"
	"sekimori/internal/mime"
	"sekimori/reputation"
)

// TestEval measures the model on mails that are not kept here: SEKIMORI_BAYES_EVAL names a file of lines
// "train|test ham|spam PATH", in the order of training. Scores go to SEKIMORI_BAYES_SCORES as lines "label z".
func TestEval(t *testing.T) {
	list := os.Getenv("SEKIMORI_BAYES_EVAL")
	if list == "" {
		t.Skip("SEKIMORI_BAYES_EVAL is not set")
	}
	f, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := os.Create(os.Getenv("SEKIMORI_BAYES_SCORES"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	m := reputation.NewModel()
	var parse, tokenise, score time.Duration
	mails, tested, tokens := 0, 0, 0
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		raw, err := os.ReadFile(filepath.Clean(w[2]))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		msg := mime.Parse(raw)
		parse += time.Since(start)
		start = time.Now()
		toks := bayes.Tokenizer{}.Tokens(msg)
		tokenise += time.Since(start)
		mails++
		tokens += len(toks)
		if w[0] == "train" {
			c, _ := reputation.ParseClass(w[1])
			m.Show(c, toks)
			continue
		}
		start = time.Now()
		sc := m.Score(toks)
		score += time.Since(start)
		tested++
		fmt.Fprintf(out, "%s %.6f\n", w[1], sc.Z)
	}
	ham, spam := m.Tokens()
	t.Logf("parse %v tokenise %v score %v a mail, %d tokens a mail; %+v; entries %d+%d", parse/time.Duration(mails),
		tokenise/time.Duration(mails), score/time.Duration(max(1, tested)), tokens/mails, m.Counts(), ham, spam)
}
