// Package text is the catalogue of everything said to people, Japanese and English side by side.
//
// Keys are "check.NAME", "symbol.NAME", "fact.NAME" and others named by where they are used. The Japanese follows the
// models of a polite business letter; the English says the same and is no word-for-word translation.
package text

import "slices"

// Entry is one text in both languages. Ja and En may hold {key} for the value of a piece of evidence.
type Entry struct{ Key, Ja, En string }

// Lang is "ja" or "en".
type Lang string

// The languages of the catalogue.
const (
	Ja Lang = "ja"
	En Lang = "en"
)

// All returns every entry of the catalogue.
func All() []Entry {
	return slices.Concat(
		baseTexts,
		libraryTexts,
		rdnsTexts,
		dnsblTexts,
		geoipTexts,
		ratelimitTexts,
		spfTexts,
		dkimTexts,
		dmarcTexts,
		bayesTexts,
		bounceTexts,
		digestTexts,
		shownTexts,
		pageTexts,
		settingTexts,
		adminTexts,
		warningTexts,
		warningRuleTexts,
		statusTexts,
		actsTexts,
		allowTexts,
		historyTexts,
		greylistTexts,
		gatewayTexts,
		siteTexts,
		reportTexts,
		whyTexts,
		placeholderTexts,
	)
}
