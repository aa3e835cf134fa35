package text

// Texts of the page on which a person chooses when and how to be told.
var settingTexts = []Entry{
	{"nav.settings", "お知らせの設定", "Notices"},
	{"settings.title", "隔離メールのお知らせの設定", "Notices of held mail"},
	{
		"settings.intro", "隔離されたメールのお知らせを、いつ、どの言語でお届けするかをお選びいただけます。お知らせを止めても、メールの隔離は続きます。このページの一覧はいつでもご覧いただけます。",
		"You can choose when, and in which language, you are told of mail that is held. Mail is held also when you are not told; the list on these pages is always there.",
	},
	{"settings.now", "現在の設定", "Your choice now"},
	{"settings.now.when", "お知らせの時期", "When you are told"},
	{"settings.now.lang", "言語", "Language"},
	{"settings.org", "組織の設定に従う", "as your organisation has set it"},
	{"settings.change", "変更する項目を一つお選びください", "Choose one thing to change"},
	{"settings.when:daily", "毎日お知らせする", "Tell me every day"},
	{"settings.when:workdays", "平日（月曜日から金曜日）にお知らせする", "Tell me on workdays, Monday to Friday"},
	{"settings.when:weekly", "週に一度、月曜日にお知らせする", "Tell me once a week, on Monday"},
	{"settings.when:hourly", "一時間ごとにお知らせする", "Tell me every hour"},
	{"settings.when:off", "お知らせを受け取らない", "Do not tell me"},
	{"settings.when:", "お知らせの時期は、組織の設定に従う", "As my organisation has set it: the time"},
	{"settings.lang:ja", "日本語でお知らせする", "In Japanese"},
	{"settings.lang:en", "英語でお知らせする", "In English"},
	{"settings.lang:", "言語は、組織の設定に従う", "As my organisation has set it: the language"},
	{"settings.kind.daily", "毎日", "every day"},
	{"settings.kind.workdays", "平日", "on workdays"},
	{"settings.kind.weekly", "毎週", "every week"},
	{"settings.kind.hourly", "一時間ごと", "every hour"},
	{"settings.kind.off", "受け取らない", "never"},
	{"settings.langname.ja", "日本語", "Japanese"},
	{"settings.langname.en", "英語", "English"},
}
