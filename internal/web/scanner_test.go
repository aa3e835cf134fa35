package web

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// scanner looks at a page as those that stand in front of mailboxes do: it opens everything with GET and HEAD, follows each link,
// and submits each form as it is: with no button, and with each of its buttons.
type scanner struct {
	b        *browser
	seen     map[string]bool
	visited  int
	sent     int
	selected []string // controls that act and are filled in beforehand
}

func (s *scanner) visit(path string, depth int) {
	if depth <= 0 || s.seen[path] {
		return
	}
	s.seen[path] = true
	s.b.do("HEAD", path, nil)
	s.b.do("GET", path, nil, "Sec-Purpose", "prefetch")
	s.page(s.b.get(path), depth)
}

func (s *scanner) page(a answer, depth int) {
	s.visited++
	if depth <= 0 {
		return
	}
	doc, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		s.b.w.t.Fatal(err)
	}
	var links []string
	var forms []*html.Node
	for n := range doc.Descendants() {
		switch n.Data {
		case "a", "link", "script", "img", "iframe":
			for _, name := range []string{"href", "src"} {
				if v, ok := attr(n, name); ok && strings.HasPrefix(v, "/") {
					links = append(links, v)
				}
			}
		case "form":
			forms = append(forms, n)
		}
	}
	for _, f := range forms {
		s.submit(f, a.path, depth)
	}
	for _, l := range links {
		s.visit(l, depth-1)
	}
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// submit sends a form once without a button and once with each.
func (s *scanner) submit(f *html.Node, page string, depth int) {
	form, buttons := url.Values{}, []url.Values{{}}
	for n := range f.Descendants() {
		name, _ := attr(n, "name")
		value, _ := attr(n, "value")
		kind, _ := attr(n, "type")
		_, checked := attr(n, "checked")
		switch {
		case n.Data == "button" || n.Data == "input" && (kind == "submit" || kind == "image"):
			buttons = append(buttons, url.Values{name: {value}})
			if name == "act" || name == "id" {
				s.selected = append(s.selected, page+" button "+name+"="+value)
			}
		case n.Data == "input" && (kind == "radio" || kind == "checkbox"):
			if checked {
				form.Add(name, value)
				s.selected = append(s.selected, page+" "+name+"="+value)
			}
		case n.Data == "option":
			if _, chosen := attr(n, "selected"); chosen && name == "act" {
				s.selected = append(s.selected, page+" option "+value)
			}
		case n.Data == "input" || n.Data == "textarea":
			form.Add(name, value)
		}
	}
	action, ok := attr(f, "action")
	if !ok {
		action = page
	}
	method, _ := attr(f, "method")
	for _, b := range buttons {
		all := url.Values{}
		for _, part := range []url.Values{form, b} {
			for k, v := range part {
				if k != "" {
					all[k] = append(all[k], v...)
				}
			}
		}
		s.sent++
		if strings.EqualFold(method, "post") {
			if strings.HasSuffix(action, "/sign-out") {
				continue // it would only shorten its own visit; it is sent at the end
			}
			s.page(s.b.do("POST", action, all), min(depth-1, 1))
		} else {
			s.visit(action+"?"+all.Encode(), depth-1)
		}
	}
}

// TestScanner: a machine that opens every link of a digest and sends every form changes nothing.
func TestScanner(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"m1", "m2", "m4", ""} {
		s := &scanner{b: w.browser(), seen: map[string]bool{}}
		s.visit("/q/"+w.token("taro@example.jp", id), 4)
		s.page(s.b.get("/done/release-m1"), 3) // even behind an act of the person
		s.b.post("", "/sign-out")
		if len(s.selected) > 0 {
			t.Errorf("filled in beforehand: %q", s.selected)
		}
		if s.visited < 5 || s.sent < 8 {
			t.Errorf("it saw %d pages and sent %d forms only", s.visited, s.sent)
		}
	}
	w.wantActs()
	w.site.Close()
	if len(w.lists) > 0 || len(w.looks) > 0 {
		t.Errorf("lists sent to %v, looks %v", w.lists, w.looks)
	}
	if w.site.Counters.Machine.Load() == 0 || w.site.Counters.Acted.Load() != 0 {
		t.Errorf("%d machines, %d acts", w.site.Counters.Machine.Load(), w.site.Counters.Acted.Load())
	}
	// The console, too: a link preview in an administrator's browser changes nothing either.
	for _, role := range []string{"admin", "helpdesk", "auditor"} {
		s := &scanner{b: w.signedIn(role), seen: map[string]bool{}}
		s.visit("/admin/", 5)
		if len(s.selected) > 0 {
			t.Errorf("%s: filled in beforehand: %q", role, s.selected)
		}
	}
	w.wantActs()
}
