package text

// Texts of the pages that say why something was not done, and what stands around the markup of a mail.
var siteTexts = []Entry{
	{"web.error", "ご確認ください", "Please note"},
	{"web.sentlist.title", "受け付けました", "Thank you"},
	{"web.review.title", "受信を拒否されたメールについて", "About a mail that was refused"},
	{
		"web.review.how", "メールの受信を拒否されたことが誤りと思われる場合は、その理由を短くお書きください。一通につき一度だけ、宛先の方か管理者にお伝えします。こちらから返信することはありません。",
		"If a mail of yours was refused by mistake, say briefly why you think so. It is passed on to the recipient or the administrator, once for each mail. You will not get an answer from here.",
	},
	{"web.review.note", "お伝えになりたいこと（500文字まで）", "What you want to say (up to 500 characters)"},
	{"web.review.yes", "確認を依頼する", "Ask for the refusal to be looked at again"},
	{"web.review.send", "送信する", "Send"},
	{
		"web.review.done", "受け付けました。該当するメールの控えがあれば、宛先の方か管理者にお伝えします。",
		"Thank you. If a copy of that mail was kept, the recipient or the administrator will see your note.",
	},
	{"web.frame.title", "メールの内容", "The mail as it was laid out"},
	{"web.frame.image", "画像：", "Picture: "},
	{"web.frame.target", "リンク先：", "leads to: "},
	{"web.frame.differs", "（表示と異なるリンク先です）", "(not where it says)"},
	{"web.frame.cut", "（このあとは表示していません）", "(the rest is not shown)"},

	{
		"web.sentlist", "受け付けました。入力されたアドレスが当システムの利用者のものであれば、まもなくメールが届きます。届かないときは、アドレスをお確かめのうえ、しばらくしてからもう一度お試しください。",
		"Thank you. If the address belongs to somebody here, a mail will arrive shortly. If it does not, please check the address and try again later.",
	},

	{"web.error.address", "メールアドレスの形式が正しくありません。お確かめのうえ、もう一度入力してください。", "This is not a mail address. Please check it and enter it again."},
	{
		"web.error.forged", "このリンクは開けませんでした。途中で改行されたり、一部が欠けたりしている可能性があります。お知らせメールのリンクをもう一度開くか、一覧を新しくお取り寄せください。",
		"This link cannot be opened. It may have been cut off or changed on its way. Please open the link in the notice again, or have your list sent to you.",
	},
	{
		"web.error.expired", "このリンクの有効期限は過ぎています。新しいお知らせメールのリンクを開くか、一覧を新しくお取り寄せください。",
		"This link has expired. Please open the link in a newer notice, or have your list sent to you.",
	},
	{
		"web.error.key", "このリンクは古いため、開けなくなりました。新しいお知らせメールのリンクを開くか、一覧を新しくお取り寄せください。",
		"This link is too old to be opened. Please open the link in a newer notice, or have your list sent to you.",
	},
	{"web.error.store", "ただいま表示できません。何も変更していません。しばらくしてから、もう一度お試しください。", "This cannot be shown at the moment. Nothing was changed. Please try again shortly."},
	{
		"web.error.session", "しばらく操作がなかったため、接続が終了しました。何も変更していません。お知らせメールのリンクをもう一度開くか、ログインし直してください。",
		"Your session has ended because nothing happened for a while. Nothing was changed. Please open the link in the notice again, or sign in again.",
	},
	{"web.error.role", "このページをご覧になる権限がありません。", "You are not allowed to see this page."},
	{"web.error.forbidden", "この操作を行う権限がありません。管理者に確認を依頼してください。", "You are not allowed to do this. Please ask the administrator."},
	{"web.error.strange", "ほかのサイトから送られた操作のため、受け付けませんでした。何も変更していません。", "This was sent by another site and was not accepted. Nothing was changed."},
	{"web.error.nonce", "この画面は古くなっているため、受け付けませんでした。何も変更していません。ページを開き直してから、もう一度お試しください。", "This page is out of date, so nothing was changed. Please open it again and try once more."},
	{"web.error.busy", "この操作は、ただいま処理しています。しばらくしてから、結果をご確認ください。", "This is being done already. Please look at the result in a moment."},
	{"web.error.choice", "どうするかが選ばれていません。何も変更していません。前の画面に戻り、ひとつ選んでから実行してください。", "Nothing was chosen, so nothing was changed. Please go back, choose one and try again."},
	{"web.error.form", "入力された内容を読み取れませんでした。何も変更していません。", "What was entered could not be read. Nothing was changed."},
	{"web.error.notfound", "このメールは見つかりませんでした。すでに受信または削除されたか、保存期間が過ぎた可能性があります。", "This mail was not found. It may have been delivered or deleted already, or its time may be over."},
	{"web.error.nothing", "選んだメールは、すでに取り扱いが済んでいるか、管理者だけが受信できるものです。何も変更していません。一覧を開き直してご確認ください。", "The selected mails are dealt with already, or only an administrator may let them through. Nothing was changed. Please open the list again."},
	{"web.error.state.releasing", "このメールは、{when}に {who} がすでに受信の手続きをしたため、この操作はできません。何も変更していません。", "{who} released this mail already on {when}, so this is not possible. Nothing was changed."},
	{"web.error.state.released", "このメールは、{when}に {who} がすでに受信の手続きをしたため、この操作はできません。何も変更していません。", "{who} released this mail already on {when}, so this is not possible. Nothing was changed."},
	{"web.error.state.deleted", "このメールは、{when}に {who} がすでに削除したため、この操作はできません。何も変更していません。", "{who} deleted this mail already on {when}, so this is not possible. Nothing was changed."},
	{"web.error.state.expired", "このメールは、保存期間が終わって{when}に削除されたため、この操作はできません。", "The time of this mail was over on {when}, and it was deleted. This is not possible any more."},
	{"web.error.state", "この操作は、もう行うことができません。", "This is not possible any more."},
	{"web.sso.none", "シングルサインオンは設定されていません。", "Single sign-on is not set up here."},
	{
		"web.sso.away", "シングルサインオンの接続先が応答していないため、ログインできませんでした。パスワードなどに誤りがあったわけではありません。しばらくしてから、もう一度お試しください。",
		"The single sign-on service does not answer, so you could not be signed in. Nothing was wrong with what you entered. Please try again shortly.",
	},
	{
		"web.sso.state", "このログインは、このブラウザーで始められたものではないか、時間が経ちすぎているため、受け付けませんでした。何も変更していません。初めからもう一度お試しください。",
		"This sign-in was not begun in this browser, or too much time has passed, so it was not accepted. Nothing was changed. Please begin again.",
	},
	{"web.sso.denied", "シングルサインオンの接続先で、ログインが取り消されたか、許可されませんでした。", "The sign-in was cancelled, or the single sign-on service did not allow it."},
	{
		"web.sso.token", "シングルサインオンの接続先からの回答を確認できなかったため、ログインできませんでした。もう一度試しても同じときは、管理者にお知らせください。",
		"The answer of the single sign-on service could not be confirmed, so you could not be signed in. If it happens again, please tell the administrator.",
	},
	{
		"web.sso.norole", "ご本人であることは確認できましたが、このアカウントには、この画面を使う権限がありません。必要な場合は、管理者にご相談ください。",
		"You were recognised, but your account has no role on these pages. If you need one, please ask the administrator.",
	},
	{
		"web.sso.unverified", "ログイン先で、お使いのメールアドレスがご本人のものと確認されていないため、一覧を表示できません。管理者にご相談ください。",
		"The single sign-on service has not confirmed that the mail address is yours, so your list cannot be shown. Please ask the administrator.",
	},
	{
		"web.sso.noaddress", "ログイン先から、お使いのメールアドレスの情報が届かなかったため、一覧を表示できません。管理者にご相談ください。",
		"The single sign-on service did not name your mail address, so your list cannot be shown. Please ask the administrator.",
	},
	{
		"web.sso.noperson", "ログインされたアカウントのメールアドレスは、当システムの利用者のものではないため、一覧を表示できません。管理者にご相談ください。",
		"The mail address of the account that you signed in with belongs to nobody here, so there is no list to show. Please ask the administrator.",
	},
	{
		"web.error.directory", "社内のディレクトリが応答していないため、ログインできませんでした。名前やパスワードに誤りがあったわけではありません。しばらくしてからもう一度お試しいただくか、ほかの方法でログインしてください。",
		"The directory that knows the passwords does not answer, so you could not be signed in. Nothing was wrong with your name or password. Please try again shortly, or sign in another way.",
	},
	{"web.error.locked", "ログインの失敗が続いたため、しばらく受け付けません。時間をおいて、もう一度お試しください。", "Too many attempts to sign in have failed. Please wait a while and try again."},
	{"web.error.rate", "短い時間に操作が多すぎるため、受け付けませんでした。しばらくしてから、もう一度お試しください。", "Too many requests in a short time. Please try again later."},
}
