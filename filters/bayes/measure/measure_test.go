package measure_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"sekimori/filters/bayes/measure"
)

// someMails are mails whose words overlap a little.
func someMails(n int) []*measure.Mail {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]*measure.Mail, n)
	for i := range list {
		m := &measure.Mail{Name: fmt.Sprint(i), Spam: r.IntN(2) == 0}
		seen := map[string]bool{}
		for range 30 {
			t := fmt.Sprint("w", r.IntN(300))
			if r.IntN(3) == 0 {
				t = fmt.Sprint(m.Spam, r.IntN(300))
			}
			if !seen[t] {
				seen[t] = true
				m.Tokens = append(m.Tokens, t)
			}
		}
		list[i] = m
	}
	return list
}

func TestEvaluate(t *testing.T) {
	var out []measure.Outcome
	for i := range 1000 {
		out = append(out, measure.Outcome{Z: -5 + float64(i)/1000}, measure.Outcome{Spam: true, Z: 5 + float64(i)/1000})
	}
	out[0].Z, out[2].Z, out[1].Z, out[3].Z = 9, 1, 0, -9
	r := measure.Evaluate(out, measure.SpamZ)
	want := measure.Result{Ham: 1000, Spam: 1000, FPR: 0.1, FNR: 0.2, FNR01: 0.2, FNR05: 0.1, UnsureHam: 0.1, UnsureSpam: 0.1}
	want.ROCA = 100 * (998.0/1e6 + 2/1e6 + 1000/1e6)
	if math.Abs(r.ROCA-want.ROCA) > 1e-9 {
		t.Errorf("1-ROCA %v, not %v", r.ROCA, want.ROCA)
	}
	if r.ROCA = want.ROCA; r != want {
		t.Errorf("%+v, not %+v", r, want)
	}
	if r := measure.Evaluate(out[:1], 4); r != (measure.Result{Ham: 1}) {
		t.Errorf("%+v", r)
	}
}

func TestCross(t *testing.T) {
	mails := someMails(600)
	var folds []int
	a := measure.Cross(mails, 5, 7, func(n int) { folds = append(folds, n) })
	if len(a) != len(mails) || !reflect.DeepEqual(folds, []int{1, 2, 3, 4, 5}) {
		t.Fatalf("%d scores in %v folds", len(a), folds)
	}
	if !reflect.DeepEqual(a, measure.Cross(mails, 5, 7, nil)) {
		t.Error("the same seed gives other scores")
	}
	if reflect.DeepEqual(a, measure.Cross(mails, 5, 8, nil)) {
		t.Error("another seed gives the same scores")
	}
	r := measure.Evaluate(a, measure.SpamZ)
	if r.ROCA > 1 || r.FPR > 1 {
		t.Errorf("%+v", r)
	}
	// A part of the labels comes from other checks and is sometimes wrong.
	auto := measure.Evaluate(measure.Auto(mails[:450], mails[450:], 200, 0.05, 1), measure.SpamZ)
	full := measure.Evaluate(measure.Run(mails[:450], mails[450:]), measure.SpamZ)
	if auto.ROCA > full.ROCA+1 {
		t.Errorf("labels of checks %+v, all labels %+v", auto, full)
	}
	worse := measure.Evaluate(measure.Auto(mails[:450], mails[450:], 20, 0.5, 1), measure.SpamZ)
	if worse.ROCA <= auto.ROCA {
		t.Errorf("labels that are wrong half of the time do as well: %+v", worse)
	}
}

func TestManifest(t *testing.T) {
	list, err := measure.ReadManifest(strings.NewReader("# name label time\na ham 30 train test 2\nb spam 10 train test 3\n\nc ham 20 test train 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	splits, err := measure.Splits(list, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(splits[0].Name, splits[0].Train[0].Name, splits[1].Name, splits[1].Train[0].Name, len(splits[1].Test)); got != "randomctimeb2" && got != "random c time b 2" {
		t.Error(got)
	}
	if _, err := measure.Splits(list, 3); err == nil {
		t.Error("nothing left to score")
	}
	list, _ = measure.ReadManifest(strings.NewReader("a ham train\nb spam test\n"))
	if splits, err = measure.Splits(list, 1); err != nil || splits[0].Name != "given" || splits[0].Test[0].Name != "b" {
		t.Error(splits, err)
	}
	for text, want := range map[string]string{"a ham\nb meat\n": "line 2", "a ham x\n": `"x"`, "# a\n": "no mail"} {
		if _, err := measure.ReadManifest(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	list, _ = measure.ReadManifest(strings.NewReader("a ham\nb spam\n"))
	if _, err := measure.Splits(list, 1); err == nil {
		t.Error("there is no way to part them")
	}
}

func TestPicture(t *testing.T) {
	out := []measure.Outcome{{Z: -7}, {Z: -7.5}, {Z: -99}, {Spam: true, Z: 4}, {Spam: true, Z: 99}}
	var svg, text strings.Builder
	if err := measure.SVG(&svg, `a<b & "c"`, out); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(svg.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"z -8 to -7: 1 ham", "z -7 to -6: 1 ham", "z -16 to -15: 1 ham", "z 4 to 5: 1 spam", "z 15 to 16: 1 spam"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	measure.Text(&text, out)
	if !strings.Contains(text.String(), "spam from here") || strings.Count(text.String(), "\n") != 6 {
		t.Errorf("\n%s", text.String())
	}
}
