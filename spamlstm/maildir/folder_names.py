"""The names that mail programs and servers give to their folders, by role. `folders` derives the role of a folder.

Sources, beside Gmail, Outlook, Apple Mail, GMX and Yahoo (2026-11-20):

- Thunderbird 153.8.0: messenger.properties and messenger.ftl of 39 languages (2026-11-30)
- Roundcube 1.6.5: labels.inc of all languages. The mail server WildDuck creates folders with these names (2026-11-30)
- Horde IMP 6.2.27: imp.po of all languages (2026-11-30)
- ImapFlow, lib/special-use.js: Outlook and others (2026-11-30)

A name of a junk folder has no other meaning. Each message that a user moves to such a folder is labelled as spam, and
spam is filed there, so a word for rubbish is in RUBBISH, and a name that a user may give to another folder, such as
Quarantine, Unwanted or SpamAssassin, is in no table.
"""

# In the order in which filing prefers them.
JUNK = """junk, spam, junk e-mail, bulk mail, junk email, junk mail, bulk, spam mail, spamverdacht, unerwünscht,
unerwünschte werbung, werbung, courrier indésirable, indésirable, indésirables, pourriel, pourriels, correo no
deseado, correo basura, no deseado, posta indesiderata, indesiderata, ongewenste e-mail, ongewenst, ongewenste
reclame, lixo eletrônico, lixo electrónico, correo lixo, correu brossa, nevyžádaná pošta, nevyžiadaná pošta,
wiadomości-śmieci, niechciane, skräppost, uønsket, uønsket e-post, uønsket e-mail, uønsket mail, uønsket post,
søppelpost, roskaposti, rämpspost, mēstules, levélszemét, önemsiz e-posta, gereksiz e-posta, istenmeyen e-posta,
neželena pošta, neželjena pošta, e-mail nedorit, mesaje nedorite, ανεπιθύμητη αλληλογραφία, ανεπιθύμητα, спам,
нежелательная почта, небажана пошта, нежелана поща, דואר זבל, البريد العشوائي, البريد غير الهام, อีเมลขยะ, thư
rác, 垃圾邮件, 垃圾郵件, 迷惑メール, スパム, 스팸메일함, 스팸함, 스팸, 정크 메일, junk e-mails, spam e-mail,
spam mails, spam e-mails, junk folder, spam folder, junk box, spam box, junk-ordner, spam-ordner, spam-verdacht,
unerwuenscht, unerwünschte e-mail, unerwünschte e-mails, unerwünschte nachrichten, unerwünschte mails, courriels
indésirables, courriel indésirable, courriers indésirables, messages indésirables, e-mail indésirable, carpeta
de spam, correo electrónico no deseado, correos no deseados, mensajes no deseados, messaggi indesiderati, e-mail
indesiderata, e-mail indesiderate, ongewenste mail, ongewenste post, ongewenste berichten, caixa de spam, lixo
eletrónico, lixo eletronico, e-mail de lixo, correio não solicitado, correio indesejado, e-mails indesejados,
correu no desitjat, dossier spam, skräpmail, uønskede e-mails, søppel-e-post, roskapostit, niechciana poczta,
niechciane wiadomości, nevyžádané, nevyžádaná e-mailová pošta, kéretlen levelek, önemsiz, önemsiz posta,
gereksiz, spam kutusu, istenmeyen, neželjeno, nepageidaujami laiškai, nepageidaujamas paštas, brukalas,
šlamštas, surogātpasts, nedorite, spam e-pošta, ruslpóstur, post sothach, email sampah, e-mel sarap, email rác,
нежелательные, нежелательные письма, небажані, нежељена пошта, ανεπιθύμητη, ספאם, זבל, بريد عشوائي, البريد غير
المرغوب فيه, البريد الإلكتروني غير الهام, هرزنامه, जंक मेल, जंक ई-मेल, स्पैम, จดหมายขยะ, 垃圾信件, スパムメール,
ジャンク メール, 迷惑メールフォルダ, 스팸 메일"""
# Thunderbird, Roundcube, Horde, ImapFlow.
TRANSLATED_JUNK = """nevyžádaná, ανεπιθύμητο, mensaje no deseado, mensaxe non desexada, neželeno, непожељно,
สแปม, 垃圾信, الرسائل غير المرغوب فيها, غير المرغوب, আজেবাজে মেইল, stroboù, spamujo, zabor-posta, بنجل, møsn,
kéretlen, posta indesirate, სპამი, សំបុត្រមិនល្អ, 스팸 편지함, biikêrnehatî, ആവശ്യമില്ലാത്തവ, नको असलेले कचरा
संदेश, स्पाम, جنک, neželena sporočila, எரிதம், กล่องจดหมายขยะ, جنک میل, mezu baztergarria, mezu baztergarriak,
spamas, nezaželena pošta, istenmeyen ileti, الرسائل العشوائية, 垃圾電郵"""
# The junk folder of one program and Trash of another, or a word for rubbish, which a user may choose for either. These
# folders give no labels, and nothing is filed there.
RUBBISH = """basura, dramhaíl, lixo, mēsli, odpad, otpad, puxarra, rifiuto, rämps, sampah, skräp, sothach,
szemét, søppel, të pavlerë, çöp, śmieci, śmieć, šiukšlė, мусор, отпад, сміття, ѓубре, թափոն, ئەخلەت, بیکاره,
بێکه‌ڵک, සුන්බුන්, እንዳቅንጠመንጢ, ゴミ, 垃圾文件夹, 垃圾箱"""
SENT = """sent, sent items, sent messages, sent mail, sent-mail, gesendet, gesendete elemente, gesendete
objekte, gesendete nachrichten, envoyés, messages envoyés, éléments envoyés, enviados, elementos enviados,
mensajes enviados, inviati, posta inviata, verzonden, verzonden items, itens enviados, wysłane, elementy
wysłane, odeslané, odeslaná pošta, odoslané, skickat, skickade objekt, sendt, sendt post, sendte elementer,
lähetetyt, elküldött, elküldött elemek, gönderilmiş, gönderilmiş öğeler, отправленные, надіслані, 已发送,
已发送邮件, 送信済み, 送信済みアイテム, 보낸메일함, 보낸 편지함"""
# Thunderbird, Roundcube, Horde.
TRANSLATED_SENT = """مُرسَل, изпратени писма, enviats, απεσταλμένα, saadetud, bidalitakoak, נשלח, poslana pošta,
terkirim, 送信済みトレイ, išsiųsti laiškai, enviadas, mesaje trimise, odoslaná pošta, poslano, послато,
ที่ส่งแล้ว, thư đã gửi, 已发送消息, 寄件備份, البريد المرسل, المرسل, unviaos, göndərilənlər, адпраўленыя,
изпратени, danfonwyd, senditujo, ارسال شده, ferstjoerd, भेजा गया, küldöttek, ուղարկված, inviate, inviata,
გაგზავნილი, សំបុត្រដែលបានបញ្ជូន, şandî, نێردراو, verschéckt, nosūtītās, пратени, അയച്ചവ, илгээсэн, पाठवलेले,
पठईएका मेलहरु, verzonden berichten, لېږل شوي ليکونه, trimise, යැවූ, të dërguar, послате, அனுப்பிய அஞ்சல்,
กล่องขาออก, ዝተለኣኸ, ئەۋەتىلگەن, بھیجا ہوا میل, đã gửi, enviat, missatge enviat, sendt mail, απεσταλμένα μηνύματα,
correos enviados, saadetud kirjad, bidalitako mezuak, envoyé, courrier envoyé, elküldött levelek, 送信控え,
送信済メール, 보낸 편지, išsiųsta, nosūtītās vēstules, verzonden mail, wysłana poczta, enviado, mensagens
enviadas, skickad e-post, gönderilmiş posta, відіслані, відіслана пошта"""
# Folders with copies of mail that is or was in other folders. Thunderbird has the names of Gmail.
COPIED = """expunged, all mail, important, starred, flagged, alle nachrichten, wichtig, markiert, tous les
messages, suivis, todos, importantes, destacados, tutti i messaggi, цялата поща, všechny zprávy, alle mails, όλη
η αλληλογραφία, posta dena, kaikki viestit, sva pošta, összes levél, semua surat, すべてのメール, 전체 편지함,
all e-post, alle e-mail, wszystkie, todos os emails, todo o correio, toate mesajele, вся почта, všetky správy,
vsa pošta, сва пошта, tüm postalar, tất cả thư, 所有邮件, 所有郵件"""
# Trash, Drafts, Outbox, Templates and Notes.
IGNORED = """trash, deleted, deleted items, deleted messages, bin, wastebasket, drafts, draft, outbox, unsent
messages, templates, notes, papierkorb, gelöscht, gelöschte elemente, gelöschte objekte, entwürfe, postausgang,
vorlagen, corbeille, éléments supprimés, messages supprimés, supprimés, brouillons, boîte d'envoi, modèles,
papelera, elementos eliminados, eliminados, borradores, bandeja de salida, plantillas, cestino, posta eliminata,
eliminati, bozze, posta in uscita, modelli, prullenbak, verwijderd, verwijderde items, concepten, postvak uit,
sjablonen, lixeira, itens excluídos, itens eliminados, rascunhos, caixa de saída, modelos, kosz, elementy
usunięte, kopie robocze, szkice, skrzynka nadawcza, koš, odstraněná pošta, koncepty, rozepsané, papperskorgen,
borttaget, borttagna objekt, utkast, utkorgen, papirkurv, slettet post, slettede elementer, kladder, roskakori,
poistetut, luonnokset, kuka, piszkozatok, törölt elemek, çöp kutusu, silinmiş öğeler, taslaklar, корзина,
удаленные, удалённые, черновики, исходящие, кошик, чернетки, 已删除, 已删除邮件, 废纸篓, 草稿, 草稿箱, 發件箱,
ゴミ箱, 削除済みアイテム, 下書き, 휴지통, 임시보관함"""
# Thunderbird, Roundcube, Horde, ImapFlow.
TRANSLATED_TRASH = """مُهملات, кошче, paperera, απορρίμματα, kustutatud, zakarrontzia, papeleira, אשפה, smeće,
tong sampah, ごみ箱, 지운 편지함, šiukšlinė, coș de gunoi, odpadkový kôš, смеће, ถังขยะ, смітник, thùng rác,
废件箱, 垃圾桶, المهملات, səbət, сметніца, ডাস্টবিন, pod-lastez, sbwriel, κάδος απορριμάτων, rubujo, prügikast,
اشغال دانی, زباله‌دان, skrell, jiskefet, bosca bruscair, रद्दी, աղբարկղ, corbe a papiro, surat terhapus, rusl,
წაშლილი, ធុងសំរាម, çop, زبڵدان, poubelle, papīrgrozs, корпа, ചവറ്റുകുട്ട, хогийн сав, कचरा पेटी, slettet, रद्दी
टोकरी, sletta, کثافت دانۍ, reciclagem, gunoi, ඉවතලන බඳුන, kôš, smeti, hedhurina, papperskorg, குப்பை, እንዳጉሓፍ,
ردی کی ٹوکری, savat, affald, κάδος, szemetes, šiukšliadėžė, atkritumi, articole șterse, elementi eliminati,
elementos borrados, item dipadam, itens apagados, mục đã xóa, odstraněné položky, pesan terhapus, slettede
beskeder, usunięte wiadomości, vymazané správy, видалені, פריטים שנמחקו, العناصر المحذوفة, موارد حذف شده,
รายการที่ลบ, 已刪除項目"""
# Thunderbird, Roundcube, Horde.
TRANSLATED_DRAFTS = """مسوّدات, чернови, esborranys, προσχέδια, mustandid, zirriborroak, טיוטות, juodraščiai,
mesaje nefinalizate, osnutki, нацрти, ฉบับร่าง, thư nháp, المسودات, qaralamalar, чарнавікі, খসড়া, brouilhedoù,
drafftiau, πρόχειρα, malnetujo, نامه های ناتکمیل, پیش‌نویس‌ها, skitsur, konsepten, dréachtaí, ड्राफ़ट,
predlošci, սեւագրեր, versiones provisori, drög, დროებითი, សំបុត្រពង្រៀង, hilanînî, ڕه‌شنووسەکان, brouillonen,
uzmetumi, непратени, പൂര്‍ത്തിയാകാത്തവ, ноорог, मसुदा, kladd, ड्राफ्टहरू, بارليک, ciorne, කටු සටහන්, வரைவுகள்,
กล่องจดหมายร่าง, ወጡን ጽሑፍ, taslak, قوليازمىلار, ڈرافٹ, qoralama xatlar, 草稿匣, kladde, piszkozat, melnraksti"""
