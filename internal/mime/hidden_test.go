package mime

import (
	"strings"
	"testing"
)

func page(t *testing.T, html string) (text, hidden string) {
	t.Helper()
	p := Parse([]byte("Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html)).Parts[0]
	return strings.Join(strings.Fields(p.Text), " "), strings.Join(strings.Fields(p.Hidden), " ")
}

// TestHidden reads pages in which "ham" is not displayed and "pill" is.
func TestHidden(t *testing.T) {
	for _, html := range []string{
		`<div style="display:none">ham</div>pill`,
		`<div style="DISPLAY : none !important">ham</div>pill`,
		`<div style="display:block;display:none">ham</div>pill`,
		`<div style="background:url('a;b');display:none">ham</div>pill`,
		`<span style="visibility:hidden">ham</span> pill`,
		`<p hidden>ham</p>pill`,
		`<font style="font-size:0">ham</font> pill`,
		`<span style="font-size:1px">ham</span> pill`,
		`<span style="font:0/0 a">ham</span> pill`,
		`<div style="font-size:10px"><span style="font-size:.1em">ham</span> pill</div>`,
		`<font color="#ffffff">ham</font> pill`,
		`<font color=white>ham</font> pill`,
		`<body bgcolor="#000080" text=white><font color=navy>ham</font> pill`,
		`<table bgcolor=black><tr><td><span style="color:#010101">ham</span> <font color=white>pill</font></td></tr></table>`,
		`<div style="background:#eee url() ;background:#eeeeee"><span style="color:rgb(238, 238, 238)">ham</span> pill</div>`,
		`<span style="color:transparent">ham</span> pill`,
		`<div style="opacity:0">ham</div>pill`,
		`<div style="height:0;overflow:hidden">ham</div>pill`,
		`<div style="max-height:0px;overflow:hidden">ham</div>pill`,
		`<span style="display:inline-block;width:0;overflow:hidden">ham</span> pill`,
		`<div style="position:absolute;left:-9999px">ham</div>pill`,
		`<div style="margin-left:-2000px">ham</div>pill`,
		`<style>.x{display:none}</style><div class="a x">ham</div>pill`,
		`<style type="text/css"><!-- /* c */ #y { font-size : 0 } --></style><div id=y>ham</div>pill`,
		`<style>.w{color:#fff}</style><span class=w>ham</span> pill`,
		`<title>ham</title>pill`,
		`<template>ham</template>pill`,
		`pill<img width=1 height="1" alt="ham">`,
		`<div style="display:none"><p>ham<table><tr><td>ham</td></tr></table></div>pill`,
		`<p style="display:none">ham<p>pill`,
		`<ul><li style="display:none">ham<li>pill</ul>`,
		`<table><tr><td style="display:none">ham<td>pill</table>`,
		`<table><tr style="display:none"><td><div>ham<tr><td>pill</table>`,
		`<div style="visibility:hidden">ham <span style="visibility:visible">pill</span></div>`,
	} {
		text, hidden := page(t, html)
		if text != "pill" || strings.Trim(hidden, "ham ") != "" || hidden == "" {
			t.Errorf("%s: displayed %q, hidden %q", html, text, hidden)
		}
	}
}

// TestNotHidden reads pages that seem to hide what browsers display, or in which nobody can say.
func TestNotHidden(t *testing.T) {
	for _, html := range []string{
		`<div style="display:none;display:block">pill</div>`,
		`<div style="display:nonesuch">pill</div>`,
		`<div style="x:display:none">pill</div>`,
		`<div style="display:none">ham</div></div><div>pill</div>`,
		`<div style="font-size:0"><span style="font-size:14px">pill</span></div>`,
		`<div style="font-size:0"><span style="font-size:calc(8px + 1em)">pill</span></div>`,
		`<div style="font-size:0"><table><tr><td>pill</td></tr></table></div>`,
		`<td style="display:none">pill`,
		`<table style="display:none">pill</table>`,
		`<table style="display:none"><div>pill</div></table>`,
		`<select style="display:none"><input>pill`,
		`<svg style="display:none"><p>pill</svg>`,
		`<div style="background:#06c"><span style="color:#fff">pill</span></div>`,
		`<div style="background:url(x.png)"><span style="color:#fff">pill</span></div>`,
		`<table background="x.png"><tr><td><font color=white>pill</font></td></tr></table>`,
		`<div style="color:#fff"><div style="color:hsl(0,0%,0%);background:#fff">pill</div></div>`,
		`<font color=white><a href="http://x.test/">pill</a></font>`,
		`<span style="height:0;overflow:hidden">pill</span>`,
		`<div style="height:0;overflow:hidden;padding:20px">pill</div>`,
		`<div style="height:0;height:auto;overflow:hidden">pill</div>`,
		`<div style="width:1%;overflow:hidden">pill</div>`,
		`<div style="mso-hide:all">pill</div>`,
		`<noscript>pill</noscript>`,
		`<img width=600 height=100 alt="pill">`,
		`<style>.x{display:none}.x{display:block}</style><div class=x>pill</div>`,
		`<style>.x{display:none} @media (max-width:480px){.x{display:block!important}}</style><div class=x>pill</div>`,
		`<style>@media (max-width:480px){.x{display:none}}</style><div class=x>pill</div>`,
		`<style>.a .x{display:none}</style><div class=x>pill</div>`,
		`<style>*{display:block!important}</style><div style="display:none">pill</div>`,
		`<style>.x{display:block!important}</style><div class=x style="display:none">pill</div>`,
		`<style>td{background:#036}</style><table><tr><td><font color=white>pill</font></td></tr></table>`,
		`<style>.x{display:none}</style><div class=x>pill</div><style>.x{display:block}</style>`,
		`<div style="color:#fff;text-shadow:0 0 1px #000">pill</div>`,
		`<textarea><style>.x{display:none}</style></textarea><p class=x>pill`,
		`<!-- <div style="display:none"> -->pill`,
		`<a style="display:none" href=x><b>ham<a href=y>pill</a>`,
	} {
		text, hidden := page(t, html)
		if !strings.Contains(text, "pill") || strings.Contains(hidden, "pill") {
			t.Errorf("%s: displayed %q, hidden %q", html, text, hidden)
		}
	}
}

func TestHiddenInWord(t *testing.T) {
	text, hidden := page(t, `v<span style="display:none">xyz</span>iagra`)
	if text != "viagra" || hidden != "xyz" {
		t.Errorf("%q, %q", text, hidden)
	}
}

// FuzzHidden reads hostile pages: nothing is lost, and the bounds hold.
func FuzzHidden(f *testing.F) {
	for _, s := range []string{
		`<style>.a{color:red}#b>c{display:none}@media x{.d{}}</style><div class=a id=b style="font:0/0 a;color:#fff">x<p>y</div>z`,
		`<table><tr><td><div><a><b></a></td><tr style=display:none>x</table>`,
		strings.Repeat("<div style=display:none>", 300) + "x",
		`<style>` + strings.Repeat("{", 50) + `/*`,
		`<p style="/* */*/:;;(((;color:">`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<16 {
			return
		}
		m := Parse([]byte("Content-Type: text/html\r\n\r\n" + s))
		checkInvariants(t, "fuzz", m)
		for _, p := range m.Parts {
			if len(p.Hidden) > 3*maxHidden || len(p.Text) > maxPartText+16 {
				t.Fatalf("%d octets hidden, %d displayed", len(p.Hidden), len(p.Text))
			}
		}
	})
}

// Elements that name large rules again and again do not hold up a mail: beyond a bound what they say is not read, and counts as displayed.
func TestHiddenIsBounded(t *testing.T) {
	sheet := "<style>.a{display:none;" + strings.Repeat("x:y;", 500) + "}</style>"
	for _, c := range []struct {
		classes, elements int
		hidden            bool
	}{{1, 100, true}, {10, 100, false}} {
		name := strings.Repeat("a ", c.classes)
		page := top + "Content-Type: text/html\r\n\r\n" + sheet + strings.Repeat("<p class=\""+name+"\">before</p>", c.elements) + "<p class=a>last</p>"
		p := Parse([]byte(page)).Parts[0]
		if strings.HasSuffix(p.Hidden, "last") != c.hidden || strings.HasSuffix(p.Text, "last") == c.hidden {
			t.Errorf("%d classes: hidden %d octets, text %q", c.classes, len(p.Hidden), p.Text[max(0, len(p.Text)-20):])
		}
	}
}
