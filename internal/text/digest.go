package text

// Texts of digests: what a person is told of held mail.
var digestTexts = []Entry{
	{"digest.from", "隔離メールのお知らせ", "Held mail notice"},
	{"digest.subject", "隔離したメールのお知らせ（{n}件）", "{n} mails are held for you"},
	{"digest.subject.one", "隔離したメールのお知らせ（1件）", "One mail is held for you"},
	{"digest.subject.list", "隔離中のメールの一覧（{n}件）", "Your held mail ({n})"},

	{
		"digest.intro", "{address} 様宛ての次のメール{n}件を、お届けせずに隔離しています。前回のお知らせより後に隔離したものだけを載せています。",
		"{n} mails to {address} were not delivered and are held in the quarantine. Only mail that has not been announced to you before is listed.",
	},
	{
		"digest.intro.one", "{address} 様宛ての次のメールを、お届けせずに隔離しています。前回のお知らせより後に隔離したものだけを載せています。",
		"One mail to {address} was not delivered and is held in the quarantine. Only mail that has not been announced to you before is listed.",
	},
	{
		"digest.intro.list", "ご依頼により、{address} 様宛てのメールのうち、現在隔離しているもの（{n}件）をお知らせします。",
		"You asked for a list of the mail to {address} that is held in the quarantine at present: {n}.",
	},
	{
		"digest.intro.none", "ご依頼により、{address} 様宛てのメールのうち、現在隔離しているものを調べましたが、1件もありませんでした。",
		"You asked for a list of the mail to {address} that is held in the quarantine. There is none at present.",
	},

	{"digest.group.undeliverable", "お届けできなかったメール", "Could not be delivered"},
	{"digest.group.low", "迷惑メールかどうか、はっきりしないもの（誤って隔離した可能性があります）", "We are not sure about these: please have a look"},
	{"digest.group.medium", "迷惑メールと思われるもの", "Probably unwanted"},
	{"digest.group.high", "迷惑メールやなりすましの可能性が高いもの", "Very likely unwanted or forged"},

	{"digest.title", "【{i}／{n}】{kind}（判定の確かさ：{sure}）", "[{i}/{n}] {kind} (certainty: {sure})"},
	{"digest.title.plain", "【{i}／{n}】{kind}", "[{i}/{n}] {kind}"},
	{"digest.again", "前のお知らせにも載せましたが、お手元に届いたかどうか確認できなかったため、もう一度お知らせします。", "An earlier notice named this one already. Whether that notice reached you could not be confirmed, so it is listed again."},
	{"digest.name", "名乗っている差出人", "Claims to be"},
	{"digest.from_address", "差出人アドレス", "Sender address"},
	{"digest.subject_line", "件名", "Subject"},
	{"digest.to", "宛先", "To"},
	{"digest.arrived", "届いた日時", "Arrived"},
	{"digest.size", "大きさ", "Size"},
	{"digest.files", "添付ファイル", "Attachments"},
	{"digest.why", "隔離した理由", "Why it is held"},
	{"digest.confirmed", "{domain}から送られたことを確認済み", "confirmed to come from {domain}"},
	{"digest.unconfirmed", "本物かどうか確認できていません", "not confirmed to be genuine"},
	{"digest.no_sender", "（記載なし）", "(none given)"},
	{"digest.no_subject", "（件名なし）", "(no subject)"},
	{"digest.no_files", "なし", "none"},
	{"digest.unnamed_file", "（名前なし）", "(unnamed)"},
	{"digest.more_files", "ほか{n}個", "and {n} more"},

	{"digest.fix.spoof", "事実を確かめたいときは、このメールのリンクや電話番号は使わず、公式のアプリやウェブサイト、または普段お使いの連絡先からご確認ください。", "To find out whether it is true, do not use the links or telephone numbers in this mail: use the official app or site, or the contact you usually use."},
	{"digest.fix.content", "業務に必要な場合は、まず、このメールに書かれた連絡先ではなく、名刺など普段お使いの連絡先で、差出人に送付の有無をお確かめください。", "If you need it, first ask the sender whether it was sent, by the contact you usually use and not by one given in this mail."},
	{"digest.fix.malware", "業務に必要な場合は、まず、このメールに書かれた連絡先ではなく、名刺など普段お使いの連絡先で、差出人に送付の有無をお確かめください。", "If you need it, first ask the sender whether it was sent, by the contact you usually use and not by one given in this mail."},
	{"digest.fix.undeliverable", "問題が一時的なものであれば、受信し直すことができます。内容をご確認ください。", "If the trouble was temporary, the mail can be delivered now. Please have a look."},

	{"digest.nothing", "心当たりがなければ、何もする必要はありません。{day}に自動的に削除されます。", "If you do not expect this mail, you need not do anything. It is deleted on {day}."},
	{"digest.business", "業務に必要なメールと思われる場合は、［{show}］からご覧ください。", "If you think you need it, have a look: [{show}]."},
	{
		"digest.safe", "開いただけでは、メールは届かず、削除もされません。開いた画面で「受信する」か「削除する」をお選びください。削除も、1時間以内なら取り消せます。",
		"Opening the page neither delivers nor deletes the mail. On the page choose “Deliver” or “Delete”. A deletion can be undone for an hour.",
	},
	{
		"digest.safe.ask", "開いただけでは、メールは届かず、削除もされません。ご本人の操作では受信できないメールですので、開いた画面から{contact}に確認を依頼してください。",
		"Opening the page neither delivers nor deletes the mail. You cannot let this one through yourself: ask {contact} from the page.",
	},
	{"digest.show", "内容を確認する", "View this mail"},
	{"digest.more", "このほかに{n}件あります。すべては一覧からご覧ください。", "There are {n} more. The list has all of them."},
	{"digest.list", "隔離メールの一覧を見る", "See all your held mail"},

	{
		"digest.mark", "あなたの合言葉は「{mark}」です。合言葉がない、または違う場合は偽物ですので、開かずに{contact}へお知らせください。",
		"Your recognition mark is “{mark}”. A notice without it, or with another one, is a fake: do not open its links, and tell {contact}.",
	},
	{"digest.password", "リンク先でパスワードをお尋ねすることはありません。", "The links never lead to a page that asks for a password."},
	{"digest.portal", "リンクを使わず、{portal}からも同じ一覧をご覧いただけます。", "Without a link you find the same list at {portal}."},
	{"digest.address", "リンクを使わず、ブラウザーに {url} と入力しても、同じ一覧をご覧いただけます。", "Without a link you find the same list by typing {url} into your browser."},
	{"digest.stop", "お知らせの時刻・言語の変更、停止", "Change when and in which language you are told, or stop this notice"},
	{"digest.other_language", "This notice in English", "このお知らせを日本語で受け取る"},
	{"digest.auto", "このお知らせは自動的にお送りしています。返信していただいても、メールの受信や削除は行われません。", "This notice was sent automatically. A reply to it delivers nothing and deletes nothing."},
}
